"""The questions: head, loss, metric and decoding of each kind of answer."""
