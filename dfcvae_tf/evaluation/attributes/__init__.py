"""Attributes of faces in the latent space of a run."""
