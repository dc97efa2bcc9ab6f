"""The faces drawn by the program: who is drawn, how each part is painted, and the dataset made of them."""
