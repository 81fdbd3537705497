/** Its package would begin with a digit. */
struct A { 1: i32 a }
