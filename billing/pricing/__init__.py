"""Pricing models: billable units and terms to a price; pure."""
