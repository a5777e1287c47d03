"""Profiles of users and of items (after KAR, Xi et al., RecSys 2024): what their reviews said, up to a moment each."""
