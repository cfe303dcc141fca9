package location

const (
	unitSize  = 32       // bytes; blocks are whole units
	chunkSize = 32 << 10 // bytes got from the runtime at once
	maxBlock  = 64       // units
	chunkUnit = chunkSize / unitSize
)

// arena hands out blocks of memory without pointers, so that the garbage
// collector has nothing to follow in a million of them. The zero value is an
// empty one.
type arena struct {
	chunks [][]byte
	left   int                 // units of the last chunk that were never handed out
	free   [maxBlock + 1][]ref // blocks that were given back, by their units
}

// ref is where a block begins, in units from the first chunk on.
type ref uint32

func unitsFor(size int) int { return (size + unitSize - 1) / unitSize }

// fits tells whether there are blocks of that many bytes.
func (a *arena) fits(size int) bool { return unitsFor(size) <= maxBlock }

// take returns a block of so many units.
func (a *arena) take(units int) ref {
	if free := a.free[units]; len(free) > 0 {
		a.free[units] = free[:len(free)-1]
		return free[len(free)-1]
	}
	if a.left < units {
		a.grow()
	}
	at := ref(len(a.chunks)*chunkUnit - a.left)
	a.left -= units
	return at
}

// grow begins another chunk. What is left of the last one is given back.
func (a *arena) grow() {
	for a.left > 0 {
		units := min(a.left, maxBlock)
		a.give(ref(len(a.chunks)*chunkUnit-a.left), units)
		a.left -= units
	}
	a.chunks = append(a.chunks, make([]byte, chunkSize))
	a.left = chunkUnit
}

// give takes a block back.
func (a *arena) give(at ref, units int) { a.free[units] = append(a.free[units], at) }

// block returns the bytes from the beginning of a block on.
func (a *arena) block(at ref) []byte {
	return a.chunks[at/chunkUnit][at%chunkUnit*unitSize:]
}
