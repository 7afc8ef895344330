-- ARGV: name, tenant, class ('' = that of the live workers), pin, labels, failures in a thousand that stop it ('' = as it
-- is, both). Makes a campaign or checks its pins.
-- Answers {'ok', row} | {'differs', field, found} | {'noclass', how many classes are alive}.
local name, tenant, class, pin = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local workers = class_workers()

local function set_rest(no)
    if ARGV[5] ~= '' then
        call('HSET', K .. 'c:' .. no, 'labels', ARGV[5])
    end
    if ARGV[6] ~= '' then
        call('HSET', K .. 'c:' .. no, 'fail_stop', ARGV[6])
    end
end

local no = call('HGET', K .. 'camp', name)
if no then
    local f = call('HMGET', K .. 'c:' .. no, 'tenant', 'class', 'pin')
    if f[1] ~= tenant then
        return {'differs', 'tenant', f[1]}
    elseif class ~= '' and f[2] ~= class then
        return {'differs', 'model and precision', f[2]}
    elseif f[3] ~= pin then
        return {'differs', 'tasks and options', f[3]}
    end
    set_rest(no)
    return {'ok', campaign_row(no, workers)}
end
if class == '' then
    local n = 0
    for c in pairs(workers) do
        class = c
        n = n + 1
    end
    if n ~= 1 then
        return {'noclass', n}
    end
end
no = string.format('%d', call('HINCRBY', K .. 'meta', 'campaigns', 1))
call('HSET', K .. 'camp', name, no)
call('HSET', K .. 'c:' .. no, 'name', name, 'tenant', tenant, 'class', class, 'pin', pin, 'state', 'active', 'created',
    now_ms())
set_rest(no)
return {'ok', campaign_row(no, workers)}
