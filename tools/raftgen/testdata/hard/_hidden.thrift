/** Its files would not be built. */
struct A { 1: i32 a }
