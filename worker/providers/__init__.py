"""The providers: what talks HTTP lives here and nowhere else."""
