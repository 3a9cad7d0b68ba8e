-- name: t04 search_path
-- protocol: startup
search_path=mine

-- name: t04 role
-- protocol: startup
role=other

-- name: t04 session_replication_role
-- protocol: startup
session_replication_role=replica

-- name: t04 a lexing setting
-- protocol: startup
standard_conforming_strings=off

-- name: t04 an encoding
-- protocol: startup
-- shows: nothing: the tests' own answers change
client_encoding=SJIS

-- name: t04 a custom setting
-- protocol: startup
app.tenant=7

-- name: t04 row_security in capitals
-- protocol: startup
ROW_SECURITY=off

-- name: t04 options with -c
-- protocol: startup
options=-c session_replication_role=replica

-- name: t04 options with -c and no space
-- protocol: startup
options=-csession_replication_role=replica

-- name: t04 options with --
-- protocol: startup
options=--session_replication_role=replica

-- name: t04 options with -- and dashes
-- protocol: startup
options=--session-replication-role=replica

-- name: t04 options with a harmless setting in front
-- protocol: startup
options=-c statement_timeout=5s -c search_path=mine

-- name: t04 options with several spaces
-- protocol: startup
options=   -c    role=other

-- name: t04 options with an escaped space
-- protocol: startup
options=-c search_path=mine,\ public

-- name: t04 options with an escaped letter
-- protocol: startup
options=-c search\_path=mine

-- name: t04 options with a doubled backslash
-- protocol: startup
options=-c application_name=a\\ -c role=other

-- name: t04 options with a tab
-- protocol: startup
options=-c	search_path=mine

-- name: t04 options with an old switch for planning
-- protocol: startup
options=-fs

-- name: t04 options with an old switch for memory
-- protocol: startup
options=-S 64

-- name: t04 options with the switch for system tables
-- protocol: startup
options=-O

-- name: t04 options with the switch that ignores system indexes
-- protocol: startup
options=-P

-- name: t04 options with the switch for statistics
-- protocol: startup
options=-tpa

-- name: t04 options with the switch for dates
-- protocol: startup
-- shows: nothing: dates are harmless, an old switch is not taken
options=-e

-- name: t04 options that set an encoding
-- protocol: startup
-- shows: nothing: the tests' own answers change
options=-c client_encoding=BIG5

-- name: t04 options that set a role behind a harmless one
-- protocol: startup
options=-c application_name=x -c role=other

-- name: t04 options that set a name in capitals
-- protocol: startup
options=-c SEARCH_PATH=mine

-- name: t04 replication of a database
-- protocol: startup
-- shows: nothing: it shows in what the session answers
replication=database

-- name: t04 replication, physical
-- protocol: startup
-- shows: nothing: it shows in what the session answers
replication=true

-- name: t04 replication by a number
-- protocol: startup
-- shows: nothing: it shows in what the session answers
replication=1

-- name: t04 replication by another word
-- protocol: startup
-- shows: nothing: it shows in what the session answers
replication=on

-- name: t04 the same parameter twice
-- protocol: startup
search_path=public
search_path=mine

-- name: t04 a harmless parameter and one that is not
-- protocol: startup
application_name=psql
DateStyle=ISO
session_replication_role=replica

-- name: t04 default_tablespace
-- protocol: startup
default_tablespace=pg_global

-- name: t04 a setting of the log
-- protocol: startup
log_statement=all
