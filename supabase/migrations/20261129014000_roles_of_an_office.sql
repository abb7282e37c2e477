-- Six roles instead of two. A sign-in keeps all roles of its token, a key has one.
alter table public.sessions drop constraint sessions_role_check;
alter table public.sessions add constraint sessions_role_check
    check (role ~ '^(engineer|cashier|clerk|manager|auditor|admin)(,(engineer|cashier|clerk|manager|auditor|admin))*$');
comment on column public.sessions.role is 'The roles of the token by a comma; null of a browser that may choose one.';

alter table public.api_keys drop constraint api_keys_role_check;
alter table public.api_keys add constraint api_keys_role_check
    check (role in ('engineer', 'cashier', 'clerk', 'manager', 'auditor', 'admin'));
