"""How soon everything is in work again after something died."""
