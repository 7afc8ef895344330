-- ARGV: cursor. Tombstones from there on, 256 at most: {cursor behind the last one, more (0 or 1), text*}.
local at = tonumber(ARGV[1])
local rows = call('ZRANGE', K .. 'forgot', at, at + 255)
return {at + #rows, call('ZCARD', K .. 'forgot') > at + #rows and 1 or 0, unpack(rows)}
