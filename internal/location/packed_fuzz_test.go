package location

import "testing"

// FuzzRecord reads arbitrary records, of either version. What is a binding is the same once
// it is packed again.
func FuzzRecord(f *testing.F) {
	b := Binding{Contact: "sip:a@192.0.2.7", Params: ";x", CallID: "c", Authname: "a", Label: "A", Transport: "TCP", Path: "<sip:p;lr>", Stream: 1 << 40, NAT: true}
	f.Add(string(b.appendFixed(nil)))
	b.Node = "node-1"
	f.Add(string(b.appendFixed(nil)))
	f.Add("")
	f.Add("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Fuzz(func(t *testing.T, fixed string) {
		for version := 1; version <= 2; version++ {
			text, ok := fixed, true
			if version == 1 {
				if text, ok = FromVersion1(fixed); !ok {
					continue
				}
			}
			r := Record{ID: 1, Fixed: text}
			binding, ok := r.Binding()
			if !ok {
				continue
			}
			again := Record{ID: 1, Fixed: string(binding.appendFixed(nil))}
			if other, ok := again.Binding(); !ok || other != binding {
				t.Errorf("version %d: %+v is packed as %+v, %v", version, binding, other, ok)
			}
		}
	})
}
