"""Pretrain small teachers."""
