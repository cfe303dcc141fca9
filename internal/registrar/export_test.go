package registrar

// Flows returns on how many connections AORs are known to be bound, and how many are on one.
func (r *Registrar) Flows(stream uint64) (flows, aors int) {
	r.flows.mu.Lock()
	defer r.flows.mu.Unlock()
	return len(r.flows.bound), len(r.flows.bound[stream])
}
