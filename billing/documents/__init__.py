"""What people read: the invoice and its trace as pages, and every explanation as a sentence."""
