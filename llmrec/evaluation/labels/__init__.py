"""Tables of labels: clicks, likes, stars; and the leak gap."""
