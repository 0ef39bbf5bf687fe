"""The hour's points and who may spend them."""
