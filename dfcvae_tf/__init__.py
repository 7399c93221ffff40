"""Plain and deep feature consistent variational auto-encoders in TensorFlow."""

__version__ = "0.1.0"
