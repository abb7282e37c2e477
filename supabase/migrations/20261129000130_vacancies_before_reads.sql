-- An agreement is written before the reads that it names, which are checked at the transaction's end. So are a vacancy's,
-- by the agreement and the installation that they come from.
alter table public.vacancies drop constraint vacancies_closing_reading_id_fkey;
alter table public.vacancies drop constraint vacancies_opening_reading_id_fkey;
