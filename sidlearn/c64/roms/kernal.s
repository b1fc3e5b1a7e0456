; What tunes need of a KERNAL, at the addresses that the C64's memory map gives them. Not Commodore's code: the
; interrupt entry and exits, the vectors, the jiffy clock, and the jump table, whose entries lead to plain returns
; where a tune has nothing to wait for. What is not here stops a tune with the name of the routine that it wants.
; Sources of addresses and effects: Commodore 64 Programmer's Reference Guide, chapter 5; Sheldon Leemon, "Mapping the
; Commodore 64" (1984).

ciaport  = $DC00
ciatimer = $DC04
ciaicr   = $DC0D
ciacra   = $DC0E
cia2icr  = $DD0D
cia2port = $DD00
vicintr  = $D01A

* = $E500
iobase: LDX #<ciaport           ; where the first CIA lies
        LDY #>ciaport
        RTS
screen: LDX #40                 ; columns and lines
        LDY #25
        RTS
plot:   BCS getpos
        STX $D6
        STY $D3
getpos: LDX $D6
        LDY $D3
        CLC
        RTS

* = $E544
        LDA #32                 ; clear the screen
        LDX #0
wipe:   STA $0400,X
        STA $0500,X
        STA $0600,X
        STA $06E8,X
        INX
        BNE wipe
        RTS

* = $E5A0
        RTS                     ; the VIC's registers are as they were

* = $EA31
        JSR udtim               ; the timer interrupt
        JMP $EA7B
* = $EA7B
        JSR $EA87
        LDA ciaicr              ; acknowledge
        PLA
        TAY
        PLA
        TAX
        PLA
        RTI

* = $EA87
        RTS                     ; no key is down

* = $F69B
udtim:  INC $A2                 ; the jiffy clock, which begins anew after 24 hours: 5184000 is $4F1A00
        BNE ticked
        INC $A1
        BNE ticked
        INC $A0
ticked: LDA $A0
        CMP #$4F
        BCC done
        LDA $A1
        CMP #$1A
        BCC done
        LDA #0
        STA $A0
        STA $A1
        STA $A2
done:   RTS
rdtim:  LDA $A2
        LDX $A1
        LDY $A0
        RTS
settim: STA $A2
        STX $A1
        STY $A0
        RTS
stop:   LDA #$FF                ; the STOP key is up
        CMP #$7F
        RTS
nokey:  LDA #0                  ; no key, no byte
        CLC
        RTS
ready:  LDA $90
        RTS
fine:   CLC
        RTS

* = $FD15
restor: LDX #<vectors           ; the vectors as they are after a reset
        LDY #>vectors
        CLC
vector: STX $C3
        STY $C4
        LDY #31
copy:   LDA $0314,Y
        BCS keep
        LDA ($C3),Y
keep:   STA ($C3),Y
        STA $0314,Y
        DEY
        BPL copy
        RTS
vectors: .word $EA31, $FE66, $FE47, $F34A, $F291, $F20E, $F250, $F333
        .word $F157, $F1CA, $F6ED, $F13E, $F32F, $FE66, $F4A5, $F5ED

* = $FD50
        RTS                     ; memory has been tested

* = $FDA3
ioinit: LDA #$7F
        STA ciaicr
        STA cia2icr
        STA ciaport
        LDA #$08
        STA ciacra
        STA cia2port+14
        STA ciacra+1
        STA cia2port+15
        LDX #0
        STX ciaport+3
        STX cia2port+3
        STX $D418
        DEX
        STX ciaport+2
        LDA #$07
        STA cia2port
        LDA #$3F
        STA cia2port+2
        LDA #$E7
        STA $01
        LDA #$2F
        STA $00
timer:  LDA $02A6               ; sixty interrupts a second
        BEQ ntsc
        LDA #$25
        STA ciatimer
        LDA #$40
        JMP run
ntsc:   LDA #$95
        STA ciatimer
        LDA #$42
run:    STA ciatimer+1
        LDA #$81
        STA ciaicr
        LDA #$11
        STA ciacra
        RTS

* = $FE43
        SEI                     ; NMI
        JMP ($0318)
* = $FE47
        PHA
        TXA
        PHA
        TYA
        PHA
        LDA #$7F
        STA cia2icr
        LDY cia2icr
        JMP $FEBC
* = $FEBC
        PLA
        TAY
        PLA
        TAX
        PLA
        RTI

* = $FF48
        PHA                     ; IRQ and BRK
        TXA
        PHA
        TYA
        PHA
        TSX
        LDA $0104,X
        AND #$10
        BEQ notbrk
        JMP ($0316)
notbrk: JMP ($0314)

* = $FF5B
        LDA #0                  ; CINT: no interrupt from the VIC
        STA vicintr
        JMP timer

* = $FF81                       ; the jump table, three bytes an entry
        JMP $FF5B
        JMP ioinit
        JMP fine
        JMP restor
        JMP vector
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP nokey               ; SCNKEY
        JMP fine
        JMP nokey               ; ACPTR
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP ready               ; READST
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP nokey               ; CHRIN
        JMP fine
        JMP fine
        JMP fine
        JMP settim
        JMP rdtim
        JMP stop
        JMP nokey               ; GETIN
        JMP fine
        JMP udtim
        JMP screen
        JMP plot
        JMP iobase

* = $FFFA
        .word $FE43, $FCE2, $FF48
