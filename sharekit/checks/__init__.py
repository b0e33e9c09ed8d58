"""From an inventory, and what the cloud shows, to findings."""
