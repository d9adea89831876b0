"""The tasks a user names: the verbs, once (`base`), and the map of what can do what (`catalog`)."""
