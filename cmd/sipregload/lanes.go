package main

// lane is phones of one wire, or of many, and its part of what is in flight. A
// server that answers one port sooner than another is to have its hands full
// with both.
type lane struct {
	idle  ring[*phone] // that wait for their turn, the next one first
	busy  int
	limit int // of those busy in a closed loop
}

// lanes are all lanes of a fleet.
type lanes struct {
	all  []*lane
	last int // that a phone was taken from
	idle int // in all
	busy int // in all
}

func newLanes(count int) lanes {
	l := lanes{all: make([]*lane, count)}
	for i := range l.all {
		l.all[i] = &lane{}
	}
	return l
}

// limit deals out what may be in flight. Nobody is busy then.
func (l *lanes) limit(inFlight int) {
	l.busy = 0
	for i, lane := range l.all {
		lane.busy, lane.limit = 0, (i+1)*inFlight/len(l.all)-i*inFlight/len(l.all)
	}
}

// rest has a phone wait for its next turn.
func (l *lanes) rest(p *phone) {
	p.wire.lane.idle.push(p)
	l.idle++
}

// clear leaves nobody to wait.
func (l *lanes) clear() {
	for _, lane := range l.all {
		lane.idle = ring[*phone]{}
	}
	l.idle = 0
}

// next takes the phone whose turn it is: lanes take turns, and one that has its
// part in flight already lets others go first. There has to be a phone.
func (l *lanes) next() *phone {
	from := l.find(func(one *lane) bool { return one.busy < one.limit })
	if from == nil {
		from = l.find(func(*lane) bool { return true })
	}
	l.idle--
	l.busy++
	from.busy++
	return from.idle.pop()
}

// find returns the next lane of a kind where somebody waits.
func (l *lanes) find(wanted func(*lane) bool) *lane {
	for range l.all {
		l.last = (l.last + 1) % len(l.all)
		if one := l.all[l.last]; one.idle.count > 0 && wanted(one) {
			return one
		}
	}
	return nil
}

// end takes a phone out of the busy ones.
func (l *lanes) end(p *phone) {
	l.busy--
	p.wire.lane.busy--
}
