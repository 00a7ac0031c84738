"""Listeners: an event from outside becomes an order in the queue, and what becomes of it is told. They never act themselves."""
