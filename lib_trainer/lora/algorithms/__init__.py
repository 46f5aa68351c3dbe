"""What every kind of network file does to a weight; `registry` lists them."""
