"""How people drive sharekit: the review, the notebook and the shell."""
