include "shared/base.thrift"
include "shared/base.thrift"

typedef base.Level Level
typedef base.Item Mine
const i32 TWICE = base.LIMIT
const i32 NUMBER = base.Level.HIGH
const Level LEVEL = base.Level.HIGH
const base.Level OTHER = Level.LOW
const base.Level SHORT = base.HIGH
const base.Levels LEVELS = [base.Level.LOW, 2]
struct Item { 1: base.Item base, 2: Mine mine, 3: list<base.Levels> levels, 4: i32 limit = base.LIMIT }
service Sub extends base.Root { Mine get() throws (1: base.Oops oops) }
