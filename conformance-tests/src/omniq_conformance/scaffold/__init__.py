"""`omniq-conformance new-backend`: a backend to begin with, as a distribution of its own."""
