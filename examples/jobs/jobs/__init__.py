"""Job postings from two boards, cleaned and merged."""
