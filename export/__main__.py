"""`python -m export`: the program dfcvae_tf/export.py, by a shorter name."""

from dfcvae_tf.export import run

if __name__ == "__main__":
    run()
