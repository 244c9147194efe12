"""Language: an LSTM language model and a Transformer that translates, in plain torch."""
