namespace go base

const i32 LIMIT = 10
enum Level { LOW = 1, HIGH = 2 }
typedef list<Level> Levels
struct Item { 1: Level level = Level.LOW }
exception Oops {}
service Root { void stop() throws (1: Oops oops) }
