/** In the package of one.thrift. */
namespace go hard.shared

const i32 limit = 4
struct fooClient { 1: i32 a }
service Foo { i32 x() }
