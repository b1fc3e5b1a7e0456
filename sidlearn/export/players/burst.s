; Plays register writes in bursts, one a tick: every write so many cycles behind the one before, in its order. `play` waits
; for the tick's own cycle, runs the burst that lies ready and then makes the code of the next one. Set from outside: data,
; burst (where its code is made), first (the burst of the first tick), sled_end and turns (what takes time), clock (a
; timer that runs with the ticks), period (its cycles, less one), coarse (what waits until shortly before), and whatever
; calls `play`.
;
; The data are made of units:
;   writes, the last of them with bit 5: register; with bit 6 the gap follows, else it is that of the write before; value
;   $80-$BF  nothing happens in this tick and in value - $80 more
;   $C1-$FE  play value - $C0 units from the address that follows, then go on behind it
;   $FF      the end
; Register 31 is none: a gap and no value. A gap of 0 to 127 is so many cycles and 6 for the write itself; of 128 to 255
; it is 128 + 16 * (gap - 128) cycles without a write. What is nearer than 6 cycles to the write before:
;   28  the register follows, which gets X: 4 cycles
;   29  the register follows, which gets the value of the last write that had one: 4 cycles, 5 with a gap of 1
;   30  no write: what follows goes into X for a 28 to come, 2 cycles behind the gap

out   = $20                     ; where the burst is written to
back  = $22                     ; where to go on after a repeat
count = $24                     ; units left of a repeat
wait  = $25                     ; ticks to wait
cell  = $26                     ; a write's register and flags
gap   = $27
seen  = $28                     ; the low byte of the timer
aim   = $29                     ; what it was in the first tick, and LATE
store = $2A                     ; how the value is stored
LATE  = 12                      ; cycles that a tick's coarse wait may end sooner or later than that of the first

reset:  LDA #<data
        STA at
        LDA #>data
        STA at+1
        LDA #<first
        STA ready
        LDA #>first
        STA ready+1
        LDA #$0B                ; no screen: bad lines would stop the CPU within a burst
        STA $D011
        LDX #0
        STX count
        STX wait
        LDA #<period
        STA clock
        LDA #>period
        STA clock+1
        LDA #$11
        STA clock+10
        LDA clock
        ADC #$80                ; far from what the first tick will see
        STA aim
        TXA
        LDX #24
silent: STA $D400,X
        DEX
        BPL silent
        RTS

play:   JSR coarse
        LDA clock
        STA seen
        EOR #$FF
        SEC
        ADC aim
        CMP #LATE+LATE+1
        BCC fine
        LDA #LATE               ; the first tick, and one that something has held up
        CLC
fine:   STA slide+1
slide:  BCC slid                ; always: into the cycles that are left
slid:   .byte $C9, $C9, $C9, $C9, $C9, $C9, $C9, $C9, $C9, $C9, $C9, $C9
        .byte $C9, $C9, $C9, $C9, $C9, $C9, $C9, $C9, $C9, $C9, $C9, $C5, $EA
        LDY #0
run:    JSR first
ready   = run+1
        LDA ready+1
        CMP #>burst
        BEQ again
        LDA seen
        CLC
        ADC #LATE-3             ; the path of the first tick takes three cycles more
        STA aim
        LDA #>burst
        STA ready+1
again:  STA out+1
        LDA #<burst
        STA ready
        STA out
        LDA wait
        BEQ fetch
        DEC wait                ; the burst is empty since the wait began
        RTS

fetch:  JSR get
        BPL writes
        JMP special

writes: LDY #0
write:  STA cell
        AND #$40
        BEQ same
        JSR get
        STA gap
same:   LDX #$8D                ; STA
        STX store
        LDA gap
        BMI pause
        CMP #1
        BEQ one
        CMP #14
        BCS long
        LSR
        TAX
        BCC even
        LDA #$24                ; BIT $24: three cycles
        STA (out),Y
        INY
        STA (out),Y
        INY
        DEX
even:   CPX #0
        BEQ value
        LDA #$EA
pairs:  STA (out),Y
        INY
        DEX
        BNE pairs
        BEQ value               ; always

one:    LDX #$99                ; STA ,Y with Y = 0: a cycle more
        STX store
        BNE value               ; always

pause:  AND #$7F
        TAX
        INX
        LDA #$A2                ; LDX #
        STA (out),Y
        INY
        TXA
        STA (out),Y
        INY
        LDA #<turns
        LDX #>turns
        JSR call
        JMP value

long:   LDA #<sled_end+13
        SEC
        SBC gap
        LDX #>sled_end
        JSR call

value:  LDA cell
        AND #$1F
        CMP #28
        BCS near
        TAX
        LDA #$A9                ; LDA #
        STA (out),Y
        INY
        JSR get
        STA (out),Y
        INY
        LDA store
target: STA (out),Y
        INY
        TXA
        STA (out),Y
        INY
        LDA #$D4
        STA (out),Y
        INY
none:   TYA
        BPL room
        AND #$7F
        TAY
        LDA out
        EOR #$80
        STA out
        BMI room
        INC out+1
room:   LDA cell
        AND #$20
        BNE last
        JSR get
        JMP write
near:   CMP #30
        BCC bare
        BNE none
        LDA #$A2                ; LDX #
        STA (out),Y
        INY
        JSR get
        STA (out),Y
        INY
        JMP none

bare:   CMP #29                 ; sets the carry for A, which `get` leaves as it is
        JSR get
        TAX
        LDA store
        BCS target
        LDA #$8E                ; STX
        BNE target              ; always

last:   LDA #$60                ; RTS
        STA (out),Y
unit:   LDA count
        BEQ made
        DEC count
        BNE made
        LDA back
        STA at
        LDA back+1
        STA at+1
made:   RTS

special: CMP #$FF
        BEQ over
        CMP #$C0
        BCS repeat
        AND #$3F
        STA wait
        LDA #$60
        STA burst
        JMP unit

repeat: AND #$3F
        STA count
        JSR get
        PHA
        JSR get
        TAX
        LDA at
        STA back
        LDA at+1
        STA back+1
        PLA
        STA at
        STX at+1
        JMP fetch

over:   LDA at                  ; stay before the end
        BNE stay
        DEC at+1
stay:   DEC at
        LDA #$60
        STA burst
        RTS

call:   PHA                     ; a call of the address in A and X
        LDA #$20
        STA (out),Y
        INY
        PLA
        STA (out),Y
        INY
        TXA
        STA (out),Y
        INY
        RTS

get:    LDA data
at      = get+1
        INC at
        BNE got
        INC at+1
got:    AND #$FF
        RTS
