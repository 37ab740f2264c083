-- slice(list, first): the elements from first on, also of a list that is too long for unpack.
local function slice(list, first)
  local rest = {}
  for i = first, #list do
    rest[#rest + 1] = list[i]
  end
  return rest
end
