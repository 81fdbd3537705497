namespace go hard.shared

const i32 LIMIT = 3
struct FooClient { 1: i32 a }
