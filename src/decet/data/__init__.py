"""One file a kind of data: read, check, encode, decode. Checking happens here, at the border, once, with counts."""
