"""The pages people see: each reads a form, calls one service method and shows the answer."""
