"""An inventory compared with everything that the cloud shows."""
