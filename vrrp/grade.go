package vrrp

// Grade says how fit a node is to hold the virtual IP. A better grade is a
// larger number. On the wire each grade is a band of priorities, so a node of a
// better grade outranks every node of a worse one, whatever their configured
// priorities, and a plain VRRP peer understands it without knowing of grades.
type Grade uint8

// The grades, worst first.
const (
	Down     Grade = 1 // the API server does not answer: priority 1
	Degraded Grade = 2 // it answers, but its datastore does not: priorities 2 to 99
	Ready    Grade = 3 // it is ready: priorities 100 to 254, as configured
)

// Priorities with a meaning of their own (RFC 9568, section 5.2.4), and the
// bands of the grades.
const (
	PriorityLeave = 0   // the sender leaves; a Backup takes over after Skew_Time
	PriorityOwner = 255 // the sender owns the addresses

	priorityDown        = 1
	minPriorityDegraded = 2
	maxPriorityDegraded = 99

	// MinPriority and MaxPriority bound what can be configured.
	MinPriority = 100
	MaxPriority = 254
)

func (g Grade) String() string {
	switch g {
	case Down:
		return "down"
	case Degraded:
		return "degraded"
	case Ready:
		return "ready"
	}
	return "unknown"
}

// WirePriority returns the priority that a node of grade g advertises when
// configured priority p. Degraded nodes keep the order of their configured
// priorities as far as 98 values can hold 155.
func WirePriority(g Grade, p uint8) uint8 {
	switch g {
	case Ready:
		return p
	case Degraded:
		if p < MinPriority {
			return minPriorityDegraded
		}
		if p > MaxPriority {
			return maxPriorityDegraded
		}
		span := uint16(maxPriorityDegraded - minPriorityDegraded)
		return minPriorityDegraded + uint8(uint16(p-MinPriority)*span/(MaxPriority-MinPriority))
	}
	return priorityDown
}

// GradeOf returns the grade whose band holds the advertised priority p.
// [PriorityLeave] is in no band; it ranks below all: grade 0.
func GradeOf(p uint8) Grade {
	switch {
	case p == PriorityLeave:
		return 0
	case p == priorityDown:
		return Down
	case p <= maxPriorityDegraded:
		return Degraded
	}
	return Ready
}
