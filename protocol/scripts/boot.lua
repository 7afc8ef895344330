-- ARGV: layout version, shards. What this Redis was made with; the first broker writes it, later ones compare.
call('HSETNX', K .. 'meta', 'version', ARGV[1])
call('HSETNX', K .. 'meta', 'shards', ARGV[2])
return call('HMGET', K .. 'meta', 'version', 'shards')
