"""Plugins of supervisord, which loads them as RPC interfaces."""
