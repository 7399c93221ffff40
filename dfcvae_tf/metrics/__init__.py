"""Pure numbers on arrays: NumPy in, NumPy or plain values out; no model, no file."""
