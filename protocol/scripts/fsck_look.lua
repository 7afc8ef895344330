-- ARGV: repair (1 or 0), id, keys of ownership (run:SID) to look into. Where one job is, in one step, and what can be
-- proved about it: a job is in exactly one place; a place without a job is left over; a job without a place waits for
-- nobody; of a job in a live session's hands and elsewhere, or twice in a list, the others are left over.
-- Answers {what is wrong or '', 1 where it was put right}.
local id = ARGV[2]
local stored = call('HGET', K .. 'job', id)
local prio, _, _, no = head(stored or '')
local places = {}

local function at(name, undo)
    places[#places + 1] = {name = name, undo = undo}
end

-- What the walk saw, and what live sessions have come to own since: an empty hash is no key.
local seen = {}
local function look_into(run)
    if not seen[run] and call('HEXISTS', K .. run, id) == 1 then
        at(run, function() call('HDEL', K .. run, id) end)
    end
    seen[run] = true
end
for i = 3, #ARGV do
    look_into(ARGV[i])
end
for _, sid in ipairs(call('ZRANGE', K .. 'sess', 0, 511)) do
    look_into('run:' .. sid)
end
local owned = #places
if call('ZSCORE', K .. 'delay', id) then
    at('delay', function() call('ZREM', K .. 'delay', id) end)
end
if call('HEXISTS', K .. 'doom', id) == 1 then
    at('doom', function() call('HDEL', K .. 'doom', id) end)
end
-- Lists are searched from their head; so many elements in all take about 12 ms. Beyond them nothing is proved.
local left, whole = 400000, true
local last = tonumber(call('HGET', K .. 'meta', 'campaigns') or '0')
for n = tonumber(no or math.max(last - 511, 1)), tonumber(no or last) do
    for p = 0, 2 do
        local key = K .. 'rq:' .. string.format('%d', n) .. ':' .. p
        local len = call('LLEN', key)
        whole = whole and len <= left
        if len > 0 and left > 0 then
            for _ in ipairs(call('LPOS', key, id, 'COUNT', 2, 'MAXLEN', left)) do
                at('queue', function() call('LREM', key, -1, id) end)
            end
        end
        left = math.max(left - len, 0)
    end
end
if no then
    local groups = call('LRANGE', K .. 'sus:' .. call('HGET', K .. 'c:' .. no, 'class'), 0, 511)
    for _, group in ipairs(groups) do
        for from = 1, #group, 16 do
            if string.sub(group, from, from + 15) == id then
                at('suspects', nil)
            end
        end
    end
end

local function undo_from(first)
    for i = first, #places do
        if not places[i].undo then
            return 0
        end
    end
    for i = first, #places do
        places[i].undo()
    end
    return 1
end

local repair = ARGV[1] == '1'
if stored and #places == 0 and not whole then
    return {'', 0}
elseif stored and #places == 0 then
    if repair then
        call('RPUSH', K .. 'rq:' .. no .. ':' .. prio, id)
        ring_add(no, prio)
    end
    return {'a job that is nowhere', repair and 1 or 0}
elseif not stored and #places > 0 then
    return {'without a job in ' .. places[1].name, repair and undo_from(1) or 0}
elseif #places > 1 then
    local names = {}
    for i, place in ipairs(places) do
        names[i] = place.name
    end
    local proved = owned == 1 or owned == 0 and names[1] == names[2]
    return {'in ' .. table.concat(names, ' and '), repair and proved and undo_from(2) or 0}
end
return {'', 0}
