"""The billing system's business code: plain Python, free of Streamlit and of HTTP."""
