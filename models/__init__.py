"""Networks as data: op graphs, their Keras form, training and saved bundles."""
