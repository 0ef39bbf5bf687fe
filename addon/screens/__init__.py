"""The pages inside Confluence and the JSON API behind them."""
