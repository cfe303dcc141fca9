package main

// ring is a queue that allocates no more once it is as large as it gets.
type ring[T any] struct {
	items []T // its length is a power of two
	head  int
	count int
}

func (r *ring[T]) push(item T) {
	if r.count == len(r.items) {
		r.grow()
	}
	r.items[(r.head+r.count)&(len(r.items)-1)] = item
	r.count++
}

func (r *ring[T]) grow() {
	const least = 64
	larger := make([]T, max(least, 2*len(r.items)))
	n := copy(larger, r.items[r.head:])
	copy(larger[n:], r.items[:r.head])
	r.items, r.head = larger, 0
}

// first is the one that has waited longest. There has to be one.
func (r *ring[T]) first() *T { return &r.items[r.head] }

func (r *ring[T]) pop() T {
	item := r.items[r.head]
	r.head = (r.head + 1) & (len(r.items) - 1)
	r.count--
	return item
}
