-- Fills the heap of a Lua interpreter with objects of every kind, and ends it with the signal that POSTMALLOC_END names.
kept = {arrays = {}, records = {}, closures = {}, coroutines = {}, objects = {}, strings = {}, userdata = {}}

local Account = {}
Account.__index = Account
Account.__tostring = function(self) return "account of " .. self.owner end
Account.__gc = function() end

function Account.new(owner, balance)
    return setmetatable({owner = owner, balance = balance, history = {}}, Account)
end

function Account:deposit(amount)
    self.balance = self.balance + amount
    self.history[#self.history + 1] = {kind = "deposit", amount = amount, when = #self.history}
end

local function counter(start)
    local value, step = start, 1
    return function() value = value + step; return value end, function(by) step = by end
end

for i = 1, 1000 do
    local array = {}
    for j = 1, i % 40 do array[j] = i * j end
    kept.arrays[i] = array
    kept.records["record " .. i] = {id = i, name = "name of " .. i, ratio = i / 7, next = kept.records["record " .. i - 1]}
    kept.strings[i] = ("short %d"):format(i)
    if i % 5 == 0 then kept.strings[-i] = ("a long string, beyond what is interned, %d "):format(i):rep(i % 13 + 2) end
    local account = Account.new("owner " .. i, i)
    for amount = 1, i % 9 do account:deposit(amount) end
    kept.objects[i] = account
    local step, set = counter(i)
    step()
    kept.closures[i] = {step = step, set = set}
end

for i = 1, 100 do
    local routine = coroutine.create(function(first, second)
        local inner = {first, second}
        local shared = function() return inner end
        while true do inner[#inner + 1] = coroutine.yield(shared) end
    end)
    for value = 1, 4 do coroutine.resume(routine, value, i) end
    kept.coroutines[i] = routine
end

for i = 1, 20 do kept.userdata[i] = io.tmpfile() end
kept.weak = setmetatable({}, {__mode = "k"})
for i = 1, 200 do kept.weak[kept.objects[i]] = {i} end
kept.chunk = load("local a = ... ; local b = {a, 'constant', 2.5}; return function(x) return b, x, a end")
kept.match = string.gmatch("some text to go over", "%a+")
kept.match()

local function deep(n)
    if n == 0 then
        os.execute("kill -" .. os.getenv("POSTMALLOC_END") .. " $PPID")
        return 0
    end
    local at = {n}
    return 1 + deep(n - 1) + #at
end
deep(30)
