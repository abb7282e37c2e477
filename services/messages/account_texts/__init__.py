"""What messages about an account say that are about no bill, or about more than one."""
